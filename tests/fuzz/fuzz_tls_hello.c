/*
 * tests/fuzz/fuzz_tls_hello.c: the ClientHello reader on any bytes: views stay inside, a longer
 * input never turns a complete hello into another answer.
 */
#include "net/tls.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum(struct sl_str s)
{
	unsigned v = 0;

	for (size_t i = 0; i < s.len; i++)
		v += (uint8_t)s.p[i];
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_client_hello whole, part;
	size_t cut = size > 0 ? data[size - 1] % size : 0;
	int rc = tls_read_hello(data, cut, &part);
	bool complete = rc == 0 && part.complete;
	unsigned name = complete ? sum(part.server_name) : 0;

	if (tls_read_hello(data, size, &whole) < 0) {
		if (complete)
			abort();
		return 0;
	}
	if (complete && (!whole.complete || sum(whole.server_name) != name))
		abort();
	if (whole.complete)
		(void)(sum(whole.alpn) + sl_client_hello_offers(&whole, SL_STR("http/1.1")));
	return 0;
}
