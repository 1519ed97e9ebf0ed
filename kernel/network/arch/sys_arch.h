/* lwIP's semaphores, mutexes, mailboxes and threads are the kernel's (kernel/network/sys_arch.cpp). */
#ifndef RINGSIDE_LWIP_SYS_ARCH_H
#define RINGSIDE_LWIP_SYS_ARCH_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ringside_semaphore* sys_sem_t;
typedef struct ringside_mutex* sys_mutex_t;
typedef struct ringside_mailbox* sys_mbox_t;
typedef void* sys_thread_t;
typedef int sys_prot_t;

#define sys_sem_valid(semaphore) (*(semaphore) != NULL)
#define sys_sem_set_invalid(semaphore) (*(semaphore) = NULL)
#define sys_mutex_valid(mutex) (*(mutex) != NULL)
#define sys_mutex_set_invalid(mutex) (*(mutex) = NULL)
#define sys_mbox_valid(mailbox) (*(mailbox) != NULL)
#define sys_mbox_set_invalid(mailbox) (*(mailbox) = NULL)

sys_sem_t* ringside_task_semaphore(void);
#define LWIP_NETCONN_THREAD_SEM_GET() ringside_task_semaphore()
#define LWIP_NETCONN_THREAD_SEM_ALLOC() ((void)ringside_task_semaphore())
/* Freed with the task. */
#define LWIP_NETCONN_THREAD_SEM_FREE()

#ifdef __cplusplus
}
#endif

#endif
