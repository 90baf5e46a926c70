/*
 * Intrusive doubly linked list. A head is a struct hws_list that links to itself; an element embeds
 * one, and hws_container_of recovers it. An element is in at most one list per link;
 * hws_list_remove leaves it unlinked (self-linked), so removing twice is harmless.
 */
#ifndef HWS_BASE_LIST_H
#define HWS_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct hws_list {
    struct hws_list *next;
    struct hws_list *prev;
};

#define hws_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void hws_list_init(struct hws_list *l)
{
    l->next = l;
    l->prev = l;
}

/* True for an empty head, and for an element that is in no list. */
static inline bool hws_list_empty(const struct hws_list *l)
{
    return l->next == l;
}

static inline void hws_list_push(struct hws_list *head, struct hws_list *item) /* at the back */
{
    item->next = head;
    item->prev = head->prev;
    head->prev->next = item;
    head->prev = item;
}

static inline void hws_list_remove(struct hws_list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    hws_list_init(item);
}

/* Removes and returns the first element, NULL if the list is empty. */
static inline struct hws_list *hws_list_pop(struct hws_list *head)
{
    struct hws_list *item = head->next;

    if (item == head) {
        return NULL;
    }
    hws_list_remove(item);
    return item;
}

/* Walks forward; the element `it` may be removed in the body, other elements may not. */
#define HWS_LIST_FOREACH(it, tmp, head)                                                            \
    for (struct hws_list *it = (head)->next, *tmp = it->next; it != (head);                        \
         it = tmp, tmp = it->next)

#endif
