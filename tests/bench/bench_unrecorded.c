/* In the place of hws_store_note (the linker's --wrap): records of reads are dropped. For
 * benchmarks only; no program that is installed links this. */
#include "store/audit.h"

/* NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the linker's name */
enum hws_code __wrap_hws_store_note(struct hws_store *s, const struct hws_record *record,
                                    struct hws_err *err);

/* NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the linker's name */
enum hws_code __wrap_hws_store_note(struct hws_store *s, const struct hws_record *record,
                                    struct hws_err *err)
{
    (void)s;
    (void)record;
    (void)err;
    return HWS_OK;
}
