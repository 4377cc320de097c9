/*
 * Bodies of SIP events, with the examples of their RFCs.
 */
#include "lib/test.h"

#include "modules/sip-gateway/event_body.h"

TEST(the_summary_of_rfc_3842_is_read)
{
	struct event_summary s;

	CHECK_INT(event_summary_parse(SL_STR("Messages-Waiting: yes\r\n"
					     "Message-Account: sip:alice@vmail.example.com\r\n"
					     "Voice-Message: 2/8 (0/2)\r\n"),
				      &s),
		  0);
	CHECK(s.waiting && s.fresh == 2 && s.old == 8 && s.urgent_fresh == 0 && s.urgent_old == 2);
	CHECK_STR(sl_str_c(s.account), "sip:alice@vmail.example.com");
	CHECK_INT(event_summary_parse(SL_STR("Messages-Waiting: no\r\n"), &s), 0);
	CHECK(!s.waiting && s.fresh == 0 && s.account[0] == 0);
}

TEST(what_is_no_summary_is_refused)
{
	struct event_summary s;

	CHECK_INT(event_summary_parse(SL_STR(""), &s), -SL_EPARSE);
	CHECK_INT(event_summary_parse(SL_STR("Messages-Waiting: perhaps\r\n"), &s), -SL_EPARSE);
	CHECK_INT(event_summary_parse(SL_STR("Voice-Message: 1/1\r\n"), &s), -SL_EPARSE);
	CHECK_INT(
		event_summary_parse(SL_STR("Messages-Waiting: yes\r\nVoice-Message: -1/1\r\n"), &s),
		-SL_EPARSE);
}

TEST(presence_has_a_status_an_activity_and_a_note)
{
	struct event_presence p;

	CHECK_INT(event_presence_parse(
			  SL_STR("<?xml version=\"1.0\"?><i:presence "
				 "xmlns:i=\"urn:ietf:params:xml:ns:pidf\" "
				 "xmlns:d=\"urn:ietf:params:xml:ns:pidf:data-model\" "
				 "xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"pres:x@y\">"
				 "<i:tuple id=\"a\"><i:status><i:basic>closed</i:basic></i:status>"
				 "</i:tuple><i:tuple id=\"b\"><i:status><i:basic> open "
				 "</i:basic></i:status><i:note>I&apos;m in</i:note></i:tuple>"
				 "<d:person id=\"p\"><r:activities><r:unknown/><r:meeting/>"
				 "</r:activities></d:person></i:presence>"),
			  &p),
		  0);
	CHECK(p.said && p.open);
	CHECK_STR(sl_str_c(p.activity), "meeting");
	CHECK_STR(sl_str_c(p.note), "I'm in");
}

TEST(a_document_with_a_dtd_or_of_another_kind_is_none)
{
	struct event_presence p;
	struct event_dialogs d;

	CHECK_INT(event_presence_parse(SL_STR("<!DOCTYPE a [<!ENTITY b \"c\">]>"
					      "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>"),
				       &p),
		  -SL_EPARSE);
	CHECK_INT(event_presence_parse(SL_STR("<presence/>"), &p), -SL_EPARSE);
	CHECK_INT(event_dialogs_parse(SL_STR("<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>"),
				      &d),
		  -SL_EPARSE);
	CHECK_INT(event_dialogs_parse(SL_STR("<dialog-info"), &d), -SL_EPARSE);
}

TEST(calls_of_rfc_4235_are_read)
{
	struct event_dialogs d;

	CHECK_INT(
		event_dialogs_parse(
			SL_STR("<?xml version=\"1.0\"?><dialog-info "
			       "xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"3\" "
			       "state=\"full\" entity=\"sip:alice@example.com\">"
			       "<dialog id=\"as7d900as8\" direction=\"recipient\">"
			       "<state>confirmed</state><local><identity>sip:alice@a</identity>"
			       "</local><remote><identity display=\"B &amp; C\">"
			       "sip:bob@b.example;x=y</identity></remote></dialog></dialog-info>"),
			&d),
		0);
	CHECK(d.full && d.version == 3 && d.n == 1);
	CHECK(d.all[0].state == DIALOG_CONFIRMED && !d.all[0].initiator);
	CHECK_STR(sl_str_c(d.all[0].number), "bob");
	CHECK_STR(sl_str_c(d.all[0].display), "B & C");
}

TEST(what_is_written_is_read_again)
{
	struct event_dialogs d = {.version = 9, .n = 1}, back;
	struct sl_buf b;

	d.all[0] = (struct event_dialog){.state = DIALOG_EARLY,
					 .id = "<\"&>",
					 .call_id = "c",
					 .local_tag = "l",
					 .number = "1001",
					 .display = "\"Ann\" <&>"};
	sl_buf_init(&b, 4096);
	event_dialogs_put(&b, SL_STR("sip:1002@x"), SL_STR("x"), &d);
	CHECK_INT(event_dialogs_parse(sl_buf_view(&b), &back), 0);
	CHECK(back.version == 9 && back.full && back.all[0].state == DIALOG_EARLY);
	CHECK_STR(sl_str_c(back.all[0].id), "<\"&>");
	CHECK_STR(sl_str_c(back.all[0].number), "1001");
	CHECK_STR(sl_str_c(back.all[0].display), "\"Ann\" <&>");
	sl_buf_free(&b);
}

TEST_MAIN()
