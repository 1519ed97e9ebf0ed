# ringside_lwip: the TCP/IP stack, compiled from a source tree that is not ours (LWIP_SOURCE; `ringside setup` fetches one).
# Its options are kernel/network/lwipopts.h, its compiler port kernel/network/arch/cc.h.
set(LWIP_SOURCE "${RINGSIDE_CACHE_FOLDER}/lwip-2.1.3" CACHE PATH "lwIP's source tree, the folder with src/ in it")
if(NOT EXISTS ${LWIP_SOURCE}/src/core/tcp.c)
  message(FATAL_ERROR "no lwIP sources at ${LWIP_SOURCE}: run '${PROJECT_SOURCE_DIR}/ringside setup' first, or give -DLWIP_SOURCE=FOLDER")
endif()

# Whole folders, so that another version of lwIP, with a file more or less, serves as well.
file(GLOB ringside_lwip_sources ${LWIP_SOURCE}/src/core/*.c ${LWIP_SOURCE}/src/core/ipv4/*.c ${LWIP_SOURCE}/src/api/*.c)
add_library(ringside_lwip STATIC ${ringside_lwip_sources} ${LWIP_SOURCE}/src/netif/ethernet.c)
target_include_directories(ringside_lwip SYSTEM PUBLIC ${LWIP_SOURCE}/src/include)
# <sys/socket.h>, <netdb.h>, <poll.h> and the like stand in kernel/network/include.
target_include_directories(ringside_lwip PUBLIC ${PROJECT_SOURCE_DIR}/kernel/network ${PROJECT_SOURCE_DIR}/kernel/network/include)
# As many as there are file descriptors; newlib says 64 unless told.
target_compile_definitions(ringside_lwip PUBLIC FD_SETSIZE=256)
# Somebody else's code: its warnings are not for us to mend.
target_compile_options(ringside_lwip PRIVATE -w)
