/*
 * sluice/record.h: the named interface "recorder", version 1, offered by the module recorder in
 * workers: what a client's messages do, for modules whose participants have none (digits of phones).
 * Who may is asked before, by the module that calls.
 */
#ifndef SLUICE_RECORD_H
#define SLUICE_RECORD_H

#include <sluice/str.h>

#define SL_RECORD_IFACE "recorder"

enum sl_record_state { SL_RECORD_OFF, SL_RECORD_ON, SL_RECORD_PAUSED };
enum sl_record_verb { SL_RECORD_START, SL_RECORD_STOP, SL_RECORD_PAUSE, SL_RECORD_RESUME };

struct sl_record_iface {
	uint32_t size;
	enum sl_record_state (*state)(void *self, struct sl_str room);
	/* by: for the journal. Everybody in the room is told when it is done. -SL_EDENIED: such rooms
	 * are not recorded here; -SL_EAGAIN: the recorder is not there at the moment */
	int (*tell)(void *self, struct sl_str room, enum sl_record_verb verb, struct sl_str by);
};

#endif
