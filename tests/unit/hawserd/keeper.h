/* What the tests of a request's road share: a keeper without processes, which is an agent with a
 * loop and a real store in a temporary folder, and a change that is to be done. */
#ifndef HWS_TESTS_HAWSERD_KEEPER_H
#define HWS_TESTS_HAWSERD_KEEPER_H

#include "hawserd/agent.h"
#include "hawserd/task.h"
#include "test.h"

#define KEEPER_WAIT_MS 60000 /* for the store's thread */

extern struct hws_agent *agent;
extern char dir[64]; /* its folder */

/* How often a task's continuations were called since keeper_task. */
extern int n_gone;
extern int n_ended;

/* Makes folder and agent; the store is opened with options, path excepted. */
void keeper_open(struct hws_store_options options);

/* Opens the store again after hws_store_close_wait. */
void keeper_open_store(struct hws_store_options options);

/* Closes the store, unless it is NULL, and the loop, frees the agent, removes the folder. What the
 * test has added is gone already. */
void keeper_close(void);

/* Waits for the store and takes what it has done. */
void keeper_turn(void);

/* A change of an operator's that may begin. */
void keeper_task(struct hws_task *task, const char *request_id, uint64_t election);
void keeper_free_task(struct hws_task *task);

/* The continuations; they count. */
void keeper_go(struct hws_task *task);
void keeper_ended(struct hws_task *task);

#endif
