/*
 * sluice/module.h: what a module is: one const object.
 *
 * A .so exports exactly one symbol, sl_module_entry; the same source is linked into the binary with
 * SL_STATIC defined. The loader compares magic, ABI and features before it looks at anything else,
 * copies min(size, own size) bytes, and reads the const tables without running code (`sluice -M
 * file.so`). Members are appended only.
 */
#ifndef SLUICE_MODULE_H
#define SLUICE_MODULE_H

#include <sluice/bus.h>
#include <sluice/conf.h>
#include <sluice/hook.h>
#include <sluice/metric.h>
#include <sluice/session.h>
#include <sluice/tool.h>
#include <sluice/trace.h>
#include <sluice/udp.h>

#define SL_MODULE_MAGIC 0x534c5543u /* "SLUC" */
#define SL_ABI_MAJOR 1
#define SL_ABI_MINOR 2

/* Readable tokens of what the layout depends on; must be equal, token by token. */
#if UINTPTR_MAX == UINT64_MAX
#define SL_FEATURE_WORD "lp64"
#else
#define SL_FEATURE_WORD "ilp32"
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SL_FEATURE_ENDIAN "le"
#else
#define SL_FEATURE_ENDIAN "be"
#endif
#define SL_FEATURES SL_FEATURE_WORD " " SL_FEATURE_ENDIAN " pkt1 ssl3"

/* For people only, shown by -M; the build passes the version it is made from. */
#ifndef SL_BUILD_ID
#define SL_BUILD_ID "unknown"
#endif

enum sl_module_flags {
	SL_M_AUX = 1, /* has a process of its own: for what blocks, or must be single */
	SL_M_WEB =
		2, /* answers browsers: `sluice` prints the URLs of listeners where it is active */
};

struct sl_module {
	uint32_t magic;
	uint16_t abi_major, abi_minor;
	uint32_t size, flags; /* up to here: never move */
	const char *features, *build_id;
	const char *name, *version, *summary;
	const char *const *needs; /* other modules, NULL-terminated; started before this one */
	const struct sl_directive *directives;
	uint32_t conf_size;
	const struct sl_hook *hooks;
	const struct sl_metric *metrics;
	uint32_t session_size, conn_size; /* per-object context, zeroed and freed with the object */
	/* After the tables have been satisfied: what they cannot say. Reports by sl_conf_error;
	 * returns 0 also then. Runs in the checker and in each worker. */
	int (*check)(struct sl_conf *c, void *conf);
	/* conf: main scope. Hooks get *ret_ctx. A negative result stops this worker's start, with
	 * the log line the module wrote. */
	int (*worker_start)(struct sl_worker *w, void *conf, void **ret_ctx);
	/* A newer generation runs: take no new work */
	void (*worker_drain)(void *ctx);
	void (*worker_stop)(void *ctx);
	/* Optional hand-over of a live session */
	int (*freeze)(void *ctx, struct sl_session *s, struct sl_buf *state);
	int (*thaw)(void *ctx, struct sl_session *s, struct sl_buf *state);
	/*
	 * Two halves, for a module with SL_M_AUX: these run in its own process, worker_start and
	 * its like in every worker, where the hooks are too; the halves talk by a channel. Without
	 * aux_start the module is in its own process only, and starts there by worker_start.
	 */
	int (*aux_start)(struct sl_worker *w, void *conf, void **ret_ctx);
	void (*aux_drain)(void *ctx);
	void (*aux_stop)(void *ctx);
	const struct sl_tool *tools; /* commands of `sluice`, see <sluice/tool.h> */
	/* A command asks (sl_tool_ask), in the module's own process: adds to answer what the
	 * command is to print. Negative: refused, and answer says why, for people. */
	int (*asked)(void *ctx, struct sl_str words, struct sl_buf *answer);
};

#ifdef SL_STATIC
#define SL_MODULE_SYMBOL(ident) sl_module_##ident
#else
#define SL_MODULE_SYMBOL(ident) sl_module_entry
#endif

/* SL_MODULE(turn_relay, .name = "turn-relay", ...): ident is the name with '_' for '-'. */
#define SL_MODULE(ident, ...)                                                                      \
	SL_API const struct sl_module SL_MODULE_SYMBOL(ident) = {.magic = SL_MODULE_MAGIC,         \
								 .abi_major = SL_ABI_MAJOR,        \
								 .abi_minor = SL_ABI_MINOR,        \
								 .size = sizeof(struct sl_module), \
								 .features = SL_FEATURES,          \
								 .build_id = SL_BUILD_ID,          \
								 __VA_ARGS__}

/* The meters of a module in this process, in the order of its metrics table. */
SL_API const struct sl_meter *sl_worker_meters(const struct sl_worker *w, const char *module);
/* Configuration of a module for a listener: its listen-scope conf, else the main one; NULL where it
 * is not active. */
SL_API const void *sl_listener_conf(const struct sl_worker *w, const struct sl_listener *l,
				    const char *module);

#endif
