/* arrays.h: what Python hands to a kernel in the place of an array.
 *
 * In CPython id(array) is the address of the array object, and the first member behind the head
 * that every object has is the pointer to its numbers. That is NumPy's binary interface:
 * PyArray_DATA, compiled into every extension, reads the same word. Reading it here takes a
 * nanosecond; asking for it from Python takes a hundred, as much as a small kernel. The caller
 * holds the array while the kernel runs, so the pointer stays what it was.
 *
 * Where library.py cannot prove that at import, Python hands over the addresses of the numbers
 * themselves. Either way 0 stands for no array. build.py makes the functions that take this. */
#ifndef TG_ARRAYS_H
#define TG_ARRAYS_H

#include "tg.h"

static size_t tg_head; /* bytes from the id of an array to its pointer; 0 where ids are not used */

static void *tg_numbers(uintptr_t array)
{
    return array == 0 || tg_head == 0 ? (void *)array : *(void **)(array + tg_head);
}

/* cdef: begin */

/* Take ids of arrays, whose pointers lie so many bytes behind them; for 0 take addresses. To be
 * called before any kernel is. */
static void tg_take_ids(size_t head);

/* Write the address of its numbers over each of n arrays. */
static void tg_find_numbers(uintptr_t *arrays, size_t n);

/* tg_tape_run on arrays. */
static void tg_tape_run_on(uintptr_t w, uintptr_t code, size_t length);

/* cdef: end */

static void tg_take_ids(size_t head)
{
    tg_head = head;
}

static void tg_find_numbers(uintptr_t *arrays, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        arrays[i] = (uintptr_t)tg_numbers(arrays[i]);
    }
}

static void tg_tape_run_on(uintptr_t w, uintptr_t code, size_t length)
{
    tg_tape_run(tg_numbers(w), tg_numbers(code), length);
}

#endif
