/*
 * sluice/asset.h: the files that are part of the binary: the call page and the client library.
 *
 * The table is made by the build from contrib/pages, contrib/client and the folders that modules
 * name; sorted by folder, then by path. A module that serves files may offer them beside those of a
 * directory.
 */
#ifndef SLUICE_ASSET_H
#define SLUICE_ASSET_H

#include <sluice/err.h>

struct sl_asset {
	const char *path;	   /* as in a URL: "/call.html"; NULL ends the table */
	const char *mime;	   /* a whole Content-Type */
	const unsigned char *data; /* len bytes, and a NUL behind them */
	size_t len;
	const char *etag; /* strong, with its quotes: "\"5feceb66...\"" */
};

SL_API extern const struct sl_asset sl_assets[];

#endif
