/* The four functions that every C and C++ compiler calls by itself; libvirtio and the drivers need nothing else. Whoever has a C library has
   faster ones. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    for (size_t i = 0; i < size; ++i) ((char *)to)[i] = ((const char *)from)[i];
    return to;
}
void *memset(void *to, int value, size_t size) {
    for (size_t i = 0; i < size; ++i) ((char *)to)[i] = (char)value;
    return to;
}
void *memmove(void *to, const void *from, size_t size) {
    if ((size_t)to - (size_t)from >= size) return memcpy(to, from, size);
    for (size_t i = size; i != 0; --i) ((char *)to)[i - 1] = ((const char *)from)[i - 1];
    return to;
}
int memcmp(const void *left, const void *right, size_t size) {
    for (size_t i = 0; i < size; ++i) {
        const int difference = ((const unsigned char *)left)[i] - ((const unsigned char *)right)[i];
        if (difference != 0) return difference;
    }
    return 0;
}
