/* Which build this is: the GNU build id that the linker put into the running program. */
#ifndef HWS_COMMON_BUILD_H
#define HWS_COMMON_BUILD_H

#include <stddef.h>

/* Lower-case hex of at most cap - 1 digits; "none" if the linker put none there. */
void hws_common_build_id(char *dst, size_t cap);

#endif
