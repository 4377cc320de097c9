/*
 * sip-gateway/route_tool.h: the command of this module.
 */
#ifndef SIP_ROUTE_TOOL_H
#define SIP_ROUTE_TOOL_H

#include <sluice/tool.h>

int route_tool(const struct sl_tool_env *env, int argc, char **argv);

#endif
