/*
 * SQLite's allocations through base/mem. SQLite asks for the size of a block, which malloc does not
 * tell portably, so each block carries its size in front.
 */
#include <sqlite3.h>
#include <stdint.h>

#include "base/mem.h"
#include "store/store.h"

#define FRONT_BYTES 16 /* keeps the alignment that malloc gives */

static void *sql_malloc(int n)
{
    uint8_t *p = hws_mem_alloc((size_t)n + FRONT_BYTES);

    if (p == NULL) {
        return NULL;
    }
    *(int *)(void *)p = n;
    return p + FRONT_BYTES;
}

static void sql_free(void *p)
{
    if (p != NULL) {
        hws_mem_free((uint8_t *)p - FRONT_BYTES);
    }
}

static void *sql_realloc(void *p, int n)
{
    uint8_t *grown = hws_mem_realloc((uint8_t *)p - FRONT_BYTES, (size_t)n + FRONT_BYTES);

    if (grown == NULL) {
        return NULL;
    }
    *(int *)(void *)grown = n;
    return grown + FRONT_BYTES;
}

static int sql_size(void *p)
{
    return p == NULL ? 0 : *(int *)(void *)((uint8_t *)p - FRONT_BYTES);
}

static int sql_roundup(int n)
{
    return (n + 7) & ~7;
}

static int sql_init(void *data)
{
    (void)data;
    return SQLITE_OK;
}

static void sql_shutdown(void *data)
{
    (void)data;
}

enum hws_code hws_store_use_base_mem(void)
{
    static const sqlite3_mem_methods methods = {.xMalloc = sql_malloc,
                                                .xFree = sql_free,
                                                .xRealloc = sql_realloc,
                                                .xSize = sql_size,
                                                .xRoundup = sql_roundup,
                                                .xInit = sql_init,
                                                .xShutdown = sql_shutdown,
                                                .pAppData = NULL};

    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK ? HWS_OK : HWS_E_STATE;
}
