/* The parts of a profile that profile.c leaves to profile_parts.c and profile_nv.c. */
#ifndef HWS_EMU_PROFILE_PRIV_H
#define HWS_EMU_PROFILE_PRIV_H

#include "emu/profile.h"
#include "emu/yaml_priv.h"

enum hws_code hws_emu__read_ports(struct hws_emu__yaml *y, struct fy_node *node,
                                  const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_sensors(struct hws_emu__yaml *y, struct fy_node *node,
                                    const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_timeouts(struct hws_emu__yaml *y, struct fy_node *node,
                                     const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_tracer(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_modules(struct hws_emu__yaml *y, struct fy_node *node,
                                    const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_caps(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_faults(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, void *obj);
enum hws_code hws_emu__read_tlvs(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj);

/* A {type, dw, lsb, bits} mapping. */
enum hws_code hws_emu__read_bits(struct hws_emu__yaml *y, struct fy_node *node,
                                 struct hws_emu_bits *out) HWS_MUST_USE;

/* Every reference from one part to a record of another hits one, inside its bytes. */
enum hws_code hws_emu__check_references(struct hws_emu__yaml *y, const struct hws_emu_profile *p)
    HWS_MUST_USE;

#endif
