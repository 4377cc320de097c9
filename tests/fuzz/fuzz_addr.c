/*
 * fuzz_addr.c: text as address and as address block. What is taken prints as something that reads
 * back equal, and a block has its own base.
 */
#include <sluice/addr.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_addr(struct sl_str text)
{
	char printed[SL_ADDR_STRLEN];
	struct sl_addr a, again;

	if (sl_addr_parse(&a, text) < 0)
		return;
	sl_addr_format(printed, &a);
	sl_assert(sl_addr_parse(&again, sl_str_c(printed)) == 0);
	sl_assert(sl_addr_eq(&a, &again));
	(void)sl_addr_classify(&a); /* every address has a class */
}

static void try_cidr(struct sl_str text)
{
	char printed[SL_ADDR_STRLEN];
	struct sl_cidr c, again;

	if (sl_cidr_parse(&c, text) < 0)
		return;
	sl_cidr_format(printed, &c);
	sl_assert(sl_cidr_parse(&again, sl_str_c(printed)) == 0);
	sl_assert(again.bits == c.bits && sl_addr_eq(&again.base, &c.base));
	sl_assert(sl_cidr_has(&c, &c.base));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_str text = {(const char *)data, size};

	try_addr(text);
	try_cidr(text);
	return 0;
}
