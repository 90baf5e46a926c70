/* Failure of an internal check: say where, then abort so that the supervisor restarts a clean
 * process. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void hws_assert_fail(const char *expr, const char *file, int line, const char *func)
{
    (void)fprintf(stderr, "assertion failed: %s (%s:%d in %s)\n", expr, file, line, func);
    abort();
}
