/*
 * import/coturn_auth.c: who may use the relay.
 *
 * coturn's rules: with a secret it looks at no users; without users, secrets or a word about it, it
 * lets everybody in. An open relay is made here only where the file says no-auth.
 */
#include "import/coturn_impl.h"

#include <stdlib.h>
#include "config/quote.h"

enum { MAX_SECRETS = 16, MAX_NAME = 256, MAX_PASSWORD = 256, MAX_SECRET = 1024 };

/* ---- secrets */

/* The same secret on an earlier line. */
static bool is_repeated(const struct coturn_file *f, const struct coturn_line *line)
{
	const struct coturn_line *other = NULL;

	while ((other = coturn_next(f, "static-auth-secret", other)) && other < line)
		if (sl_str_eq(other->value, line->value))
			return true;
	return false;
}

static void write_secrets(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *line = NULL;
	unsigned n = 0;

	while ((line = coturn_next(f, "static-auth-secret", line))) {
		if (n == MAX_SECRETS) {
			coturn_say(f, line, COTURN_LOST, "more than %d at once are not taken",
				   MAX_SECRETS);
			continue;
		}
		if (is_repeated(f, line) || !coturn_is_text(f, line, line->value, MAX_SECRET))
			continue;
		sl_buf_str(out, n++ ? SL_STR("    - ") : SL_STR("  secrets:\n    - "));
		quote_yaml_text(out, line->value);
		sl_buf_u8(out, '\n');
	}
	line = coturn_last(f, "use-auth-secret");
	if (n == 0 && line)
		coturn_say(f, line, COTURN_LOST,
			   "the secret is in coturn's database, where `turnadmin -S` finds it; it "
			   "belongs into secrets");
}

/* ---- users */

/* "name:password". */
static int split_user(struct coturn_file *f, const struct coturn_line *line,
		      struct sl_str *ret_name, struct sl_str *ret_password)
{
	struct sl_str rest = line->value, name = sl_str_split(&rest, ':');

	while (rest.len > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
		rest.p++, rest.len--;
	if (name.len == 0 || rest.len == 0) {
		coturn_say(f, line, COTURN_LOST, "is not name:password, and coturn skips it");
		return -SL_EPARSE;
	}
	if (sl_str_starts(rest, SL_STR("0x"))) {
		coturn_say(f, line, COTURN_LOST,
			   "has a key in place of the password, and the password is needed");
		return -SL_EUNSUPP;
	}
	if (!coturn_is_text(f, line, name, MAX_NAME) ||
	    !coturn_is_text(f, line, rest, MAX_PASSWORD))
		return -SL_ELIMIT;
	*ret_name = name;
	*ret_password = rest;
	return 0;
}

static struct sl_str user_name(const struct coturn_line *line)
{
	struct sl_str rest = line->value;

	return sl_str_split(&rest, ':');
}

/* By name, then as they stand in the file. */
static int compare_users(const void *a, const void *b)
{
	const struct coturn_line *x = *(struct coturn_line *const *)a,
				 *y = *(struct coturn_line *const *)b;
	int order = sl_str_cmp(user_name(x), user_name(y));

	return order ? order : x->number < y->number ? -1 : 1;
}

/* Of two lines about one user coturn takes the later. */
static void mark_replaced(struct coturn_file *f)
{
	struct coturn_line **users = sl_pool_array(f->pool, f->n_lines + 1, sizeof *users);
	const struct coturn_option *user = coturn_option_find(SL_STR("user"));
	size_t n = 0;

	f->failed |= !users;
	for (size_t i = 0; users && i < f->n_lines; i++)
		if (f->lines[i].option == user)
			users[n++] = &f->lines[i];
	if (n > 1)
		qsort(users, n, sizeof *users, compare_users);
	for (size_t i = 1; i < n; i++)
		users[i - 1]->replaced = sl_str_eq(user_name(users[i - 1]), user_name(users[i]));
}

static void write_users(struct coturn_file *f, struct sl_buf *out)
{
	const struct coturn_line *line = NULL;
	struct sl_str name, password;
	unsigned n = 0;

	mark_replaced(f);
	while ((line = coturn_next(f, "user", line))) {
		if (line->replaced || split_user(f, line, &name, &password) < 0)
			continue;
		sl_buf_str(out, n++ ? SL_STR("    - {name: ") : SL_STR("  users:\n    - {name: "));
		quote_yaml_text(out, name);
		sl_buf_str(out, SL_STR(", password: "));
		quote_yaml_text(out, password);
		sl_buf_str(out, SL_STR("}\n"));
	}
}

/* ---- both */

bool coturn_has_secrets(const struct coturn_file *f)
{
	return coturn_last(f, "user") || coturn_last(f, "static-auth-secret");
}

static void say_users_are_left_out(struct coturn_file *f, const char *why)
{
	const struct coturn_line *line = coturn_last(f, "user");

	if (line)
		coturn_say(f, line, COTURN_NEEDLESS, "%s", why);
}

/* Without a user in the file. */
static void say_nobody(struct coturn_file *f)
{
	const struct coturn_line *wanted = coturn_last(f, "lt-cred-mech");

	if (wanted && wanted->yes)
		coturn_say(f, wanted, COTURN_LOST,
			   "the users are in coturn's database, which has their keys only; with "
			   "their passwords they belong into users");
	else
		coturn_say_at(f, 0, COTURN_RELAY, COTURN_LOST,
			      "no user, no secret and no no-auth: coturn lets everybody in, and "
			      "nobody gets in here until there are users or secrets, or auth: off");
}

static void say_realm(struct coturn_file *f)
{
	if (!coturn_last(f, "realm"))
		coturn_say_at(f, 0, COTURN_RELAY, COTURN_NEAR,
			      "no realm: coturn takes the host's domain, and sluice is called "
			      "\"sluice\"");
}

void coturn_write_credentials(struct coturn_file *f, struct sl_buf *out)
{
	bool secrets = coturn_is_on(f, "use-auth-secret") || coturn_last(f, "static-auth-secret"),
	     asked = secrets || coturn_is_on(f, "lt-cred-mech");

	if (coturn_is_on(f, "no-auth") && !asked) {
		sl_buf_str(out, SL_STR("  auth: off\n"));
		say_users_are_left_out(f, "coturn asks nobody for it with no-auth");
		return;
	}
	if (coturn_is_on(f, "no-auth"))
		coturn_say(f, coturn_last(f, "no-auth"), COTURN_LOST,
			   "coturn does not start with credentials beside it; they are asked for "
			   "here");
	say_realm(f);
	if (secrets) {
		write_secrets(f, out);
		say_users_are_left_out(f, "coturn has no users where it has secrets");
		return;
	}
	write_users(f, out);
	if (!coturn_last(f, "user"))
		say_nobody(f);
}
