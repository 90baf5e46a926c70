/*
 * The audit log of a database that no agent is using: a copy, or one left behind. It is opened
 * read-only, without a lock and without leaving anything beside it; the write-ahead log next to it
 * (path + "-wal") is part of it. Blocks; for tools.
 */
#ifndef HWS_STORE_OFFLINE_H
#define HWS_STORE_OFFLINE_H

#include "record/log.h"

/*
 * Judges keys, checkpoints and records of the database at path by c (initialised; what it found is
 * in it; its max_unsigned of 0 becomes HWS_STORE_SIGN_RECORDS, the agent's default). pin may be
 * NULL. HWS_OK: sound. HWS_E_PROTO: c->bad_seq and c->fault say where and what, or c->fault is NULL
 * and the file itself cannot be read as a Hawser database. HWS_E_STATE: an agent is using it.
 * HWS_E_UNSUPPORTED: it has another version's schema. HWS_E_IO, HWS_E_NOT_FOUND, HWS_E_NOMEM.
 */
enum hws_code hws_store_check_file(const char *path, const struct hws_checkpoint *pin,
                                   struct hws_log_check *c, struct hws_err *err) HWS_MUST_USE;

/* HWS_E_UNSUPPORTED, saying which, if the database has another version's schema; else HWS_OK, be it
 * a database or not. Never while this process has it open: closing it would give up its locks. */
enum hws_code hws_store_check_schema(const char *path, struct hws_err *err) HWS_MUST_USE;

#endif
