/*
 * recorder/disk_debt.c: what the disk does not take now: lines, small files, names, removals.
 *
 * On a disk that is full, read-only or failing, the job that could not be done waits here, and all
 * that comes for its directory behind it, so that a journal has no hole and a mark is not removed
 * before what it stands for. By the clock the first of each directory is tried again. There is not
 * much: a recording on such a disk has ended, and of a small file only the newest waits. What the
 * end of the process leaves is what a crash would leave, for recovery.
 */
#include "disk_impl.h"

#include <sluice/log.h>
#include <stdlib.h>
#include <unistd.h>

struct debt {
	struct debt *next;
	struct job *first, **tail;
	char dir[];
};

/* Under the lock */
static struct debt *find(const struct disk *d, const char *dir)
{
	struct debt *debt = d->debts;

	while (debt && strcmp(debt->dir, dir) != 0)
		debt = debt->next;
	return debt;
}

/* A small file is written as it is in the end. */
static void drop_older(struct debt *debt, const struct job *newer)
{
	struct job **link = &debt->first, *j;

	while ((j = *link)) {
		if (j->kind == JOB_PUT && strcmp(j->name, newer->name) == 0) {
			*link = j->next;
			free(j);
		} else {
			link = &j->next;
		}
	}
	debt->tail = link;
}

static void add_last(struct debt *debt, struct job *j)
{
	if (j->kind == JOB_PUT)
		drop_older(debt, j);
	j->next = NULL;
	*debt->tail = j;
	debt->tail = &j->next;
}

static void add_first(struct debt *debt, struct job *j)
{
	j->next = debt->first;
	debt->first = j;
	if (!j->next)
		debt->tail = &j->next;
}

bool debt_takes(struct disk *d, struct job *j)
{
	struct debt *debt;

	if (!__atomic_load_n(&d->owes, __ATOMIC_ACQUIRE))
		return false;
	(void)pthread_mutex_lock(&d->lock);
	debt = find(d, j->dir);
	if (debt)
		add_last(debt, j);
	(void)pthread_mutex_unlock(&d->lock);
	return debt != NULL;
}

static struct debt *make(struct disk *d, const char *dir)
{
	size_t len = strlen(dir) + 1;
	struct debt *debt = malloc(sizeof *debt + len);

	if (!debt)
		return NULL;
	debt->first = NULL;
	debt->tail = &debt->first;
	memcpy(debt->dir, dir, len);
	debt->next = d->debts;
	d->debts = debt;
	__atomic_store_n(&d->owes, true, __ATOMIC_RELEASE);
	return debt;
}

void debt_begin(struct disk *d, struct job *j, int error)
{
	struct debt *debt;
	bool is_new;

	(void)pthread_mutex_lock(&d->lock);
	debt = find(d, j->dir);
	is_new = !debt;
	if (is_new) {
		debt = make(d, j->dir);
		sl_log(SL_LOG_ERROR, "recorder", "%s/%s cannot be written: %s; it is tried again",
		       j->dir, j->name, disk_sentence(error));
	}
	if (debt)
		add_last(debt, j);
	__atomic_fetch_add(&d->n_errors, 1, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&d->lock);
	if (!debt)
		free(j); /* no memory either */
}

static void unlink_debt(struct disk *d, const struct debt *debt)
{
	struct debt **link = &d->debts;

	while (*link != debt)
		link = &(*link)->next;
	*link = debt->next;
}

/* NULL: nothing waits any more, and the debt is in no list */
static struct job *take_first(struct disk *d, struct debt *debt)
{
	struct job *j;

	(void)pthread_mutex_lock(&d->lock);
	j = debt->first;
	if (j) {
		debt->first = j->next;
		if (!debt->first)
			debt->tail = &debt->first;
	} else {
		unlink_debt(d, debt);
	}
	(void)pthread_mutex_unlock(&d->lock);
	return j;
}

/* Until the disk does not take one */
static void pay(struct disk *d, struct debt *debt)
{
	struct job *j;

	while ((j = take_first(d, debt))) {
		if (disk_do_named(d, j)) {
			(void)pthread_mutex_lock(&d->lock);
			add_first(debt, j);
			(void)pthread_mutex_unlock(&d->lock);
			return;
		}
		free(j);
	}
	sl_log(SL_LOG_NOTICE, "recorder", "all that waited for %s is written", debt->dir);
	free(debt);
}

static struct debt *after(struct disk *d, const struct debt *debt)
{
	struct debt *next;

	(void)pthread_mutex_lock(&d->lock);
	next = debt ? debt->next : d->debts;
	(void)pthread_mutex_unlock(&d->lock);
	return next;
}

/* One thread pays and takes debts out of the list; others put new ones before them. */
void debt_retry(struct disk *d)
{
	for (struct debt *debt = after(d, NULL), *next; debt; debt = next) {
		next = after(d, debt);
		pay(d, debt);
	}
	(void)pthread_mutex_lock(&d->lock);
	__atomic_store_n(&d->owes, d->debts != NULL, __ATOMIC_RELEASE);
	(void)pthread_mutex_unlock(&d->lock);
}

static void drop(struct disk *d, struct job *j)
{
	if (j->kind == JOB_NAME)
		close((int)j->at);
	if (j->kind == JOB_CALL)
		j->fn(j->arg, j->dir);
	if (j->kind == JOB_LINES_END)
		(void)disk_do_named(d, j); /* nothing of it can fail */
	free(j);
}

void debt_drop_all(struct disk *d)
{
	debt_retry(d);
	while (d->debts) {
		struct debt *debt = d->debts;

		d->debts = debt->next;
		sl_log(SL_LOG_ERROR, "recorder", "%s cannot be finished; the next start does it",
		       debt->dir);
		for (struct job *j = debt->first, *next; j; j = next) {
			next = j->next;
			drop(d, j);
		}
		free(debt);
	}
}
