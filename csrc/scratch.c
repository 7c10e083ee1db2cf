/* scratch.c: each thread's reusable buffers, one a level, freed when the thread ends. */
#include "internal.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <pthread.h>
#endif

struct scratch {
    void *block;   /* what malloc gave */
    size_t bytes;  /* what may be used of it, from the first multiple of 64 on */
};

#ifdef _WIN32

static DWORD scratch_key = FLS_OUT_OF_INDEXES;

static void WINAPI free_scratch(void *value)
{
    struct scratch *scratch = value;
    for (size_t level = 0; scratch != NULL && level < TG_LEVELS; level++) {
        free(scratch[level].block);
    }
    free(scratch);
}

static BOOL CALLBACK make_key(PINIT_ONCE once, void *parameter, void **context)
{
    (void)once;
    (void)parameter;
    (void)context;
    scratch_key = FlsAlloc(free_scratch);
    return TRUE;
}

/* This thread's buffers, one a level. */
static struct scratch *own_scratch(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    InitOnceExecuteOnce(&once, make_key, NULL, NULL);
    struct scratch *scratch = FlsGetValue(scratch_key);
    if (scratch == NULL) {
        scratch = calloc(TG_LEVELS, sizeof *scratch);
        FlsSetValue(scratch_key, scratch);
    }
    return scratch;
}

#else

static pthread_key_t scratch_key;

static void free_scratch(void *value)
{
    struct scratch *scratch = value;
    for (size_t level = 0; level < TG_LEVELS; level++) {
        free(scratch[level].block);
    }
    free(scratch);
}

static void make_key(void)
{
    pthread_key_create(&scratch_key, free_scratch);
}

static struct scratch *own_scratch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    struct scratch *scratch = pthread_getspecific(scratch_key);
    if (scratch == NULL) {
        scratch = calloc(TG_LEVELS, sizeof *scratch);
        pthread_setspecific(scratch_key, scratch);
    }
    return scratch;
}

#endif

void *tg_scratch_of(enum tg_level level, size_t bytes)
{
    struct scratch *scratch = own_scratch();
    if (scratch == NULL) {
        return NULL;
    }
    scratch += level;
    if (scratch->bytes < bytes || scratch->block == NULL) {
        size_t grown = tg_max(bytes, scratch->bytes * 2);
        free(scratch->block);
        scratch->block = bytes <= SIZE_MAX - 64 ? malloc(grown + 64) : NULL;
        scratch->bytes = scratch->block == NULL ? 0 : grown;
    }
    if (scratch->block == NULL) {
        return NULL;
    }
    return (void *)(((uintptr_t)scratch->block + 63) & ~(uintptr_t)63);
}
