/*
 * sip-gateway/registrations_tool.h: `sluice registrations`.
 */
#ifndef SIP_REGISTRATIONS_TOOL_H
#define SIP_REGISTRATIONS_TOOL_H

#include <sluice/tool.h>

int registrations_tool(const struct sl_tool_env *env, int argc, char **argv);

#endif
