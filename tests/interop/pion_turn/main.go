// pion_turn: Pion's TURN client against a server, over one transport; test_pion runs it.
//
//	pion_turn [-over udp|tcp|tls|dtls] [-messages n] [-size bytes] server user password
//
// It asks for its address, allocates, and then: sends messages to a peer that returns them, which Pion does by Send
// indications until its channel is bound, and by ChannelData after that; hears a peer that speaks first; exchanges messages
// with a second client of its own, relay to relay; and goes. What it has seen is one line of JSON. With user "secret" the
// password is the secret of time-limited credentials, which Pion makes.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pion/dtls/v2"
	"github.com/pion/turn/v2"
)

const patience = 10 * time.Second

var (
	over     = flag.String("over", "udp", "udp, tcp, tls or dtls")
	messages = flag.Int("messages", 50, "to each peer")
	size     = flag.Int("size", 1000, "bytes of a message")
)

type report struct {
	Over          string
	Mapped        string
	Local         string
	Relayed       string
	Echoed        int
	Heard         bool
	BetweenRelays int
}

// A client, what it sends through, and its relay.
type party struct {
	*turn.Client
	base  net.PacketConn
	relay net.PacketConn
}

// What Pion takes for a socket; streams and DTLS are wrapped as its ICE does it.
func dial(server string) (net.PacketConn, error) {
	dialer := net.Dialer{Timeout: patience}
	switch *over {
	case "udp":
		return net.ListenPacket("udp4", "127.0.0.1:0")
	case "tcp":
		conn, err := dialer.Dial("tcp4", server)
		return wrap(conn, err)
	case "tls":
		conn, err := tls.DialWithDialer(&dialer, "tcp4", server, &tls.Config{InsecureSkipVerify: true})
		return wrap(conn, err)
	case "dtls":
		addr, err := net.ResolveUDPAddr("udp4", server)
		if err != nil {
			return nil, err
		}
		conn, err := dtls.Dial("udp4", addr, &dtls.Config{InsecureSkipVerify: true})
		return wrap(conn, err)
	}
	return nil, fmt.Errorf("no such transport: %s", *over)
}

func wrap(conn net.Conn, err error) (net.PacketConn, error) {
	if err != nil {
		return nil, err
	}
	return turn.NewSTUNConn(conn), nil
}

func allocate(server, user, password string) (*party, error) {
	base, err := dial(server)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server, TURNServerAddr: server, Conn: base, Username: user, Password: password,
	})
	if err != nil {
		return nil, err
	}
	if err = client.Listen(); err != nil {
		return nil, err
	}
	relay, err := client.Allocate()
	if err != nil {
		return nil, fmt.Errorf("allocating: %w", err)
	}
	return &party{client, base, relay}, nil
}

func (p *party) close() error {
	if err := p.relay.Close(); err != nil {
		return err
	}
	p.Client.Close()
	return p.base.Close()
}

func message(n int) []byte {
	text := []byte(fmt.Sprintf("message %d ", n))
	return bytes.Repeat(text, *size/len(text)+1)[:*size]
}

// Reads one message from a conn and holds it against what is expected.
func expect(conn net.PacketConn, want []byte, sender net.Addr) error {
	buf := make([]byte, 65536)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	n, from, err := conn.ReadFrom(buf)
	if err != nil {
		return err
	}
	if !bytes.Equal(buf[:n], want) {
		return fmt.Errorf("got %d bytes %.20q for %.20q", n, buf[:n], want)
	}
	if from.String() != sender.String() {
		return fmt.Errorf("it came from %s, not %s", from, sender)
	}
	return nil
}

// A peer that returns whatever comes, until it is closed.
func echo() (net.PacketConn, error) {
	peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := peer.ReadFrom(buf)
			if err != nil {
				return
			}
			if _, err = peer.WriteTo(buf[:n], from); err != nil {
				return
			}
		}
	}()
	return peer, nil
}

func (p *party) callPeer(r *report) error {
	peer, err := echo()
	if err != nil {
		return err
	}
	defer peer.Close()
	for ; r.Echoed < *messages; r.Echoed++ {
		if _, err = p.relay.WriteTo(message(r.Echoed), peer.LocalAddr()); err != nil {
			return err
		}
		if err = expect(p.relay, message(r.Echoed), peer.LocalAddr()); err != nil {
			return fmt.Errorf("message %d: %w", r.Echoed, err)
		}
	}
	return nil
}

// The permission is there: callPeer has made it for the address.
func (p *party) hearPeer(r *report) error {
	peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer peer.Close()
	if _, err = peer.WriteTo(message(7), p.relay.LocalAddr()); err != nil {
		return err
	}
	if err = expect(p.relay, message(7), peer.LocalAddr()); err != nil {
		return fmt.Errorf("the peer that speaks first: %w", err)
	}
	r.Heard = true
	return nil
}

func betweenRelays(a, b *party, r *report) error {
	for _, side := range []struct{ at, to *party }{{a, b}, {b, a}} {
		if err := side.at.CreatePermission(side.to.relay.LocalAddr()); err != nil {
			return fmt.Errorf("permission: %w", err)
		}
	}
	for ; r.BetweenRelays < *messages; r.BetweenRelays++ {
		from, to := a, b
		if r.BetweenRelays%2 == 1 {
			from, to = b, a
		}
		if _, err := from.relay.WriteTo(message(r.BetweenRelays), to.relay.LocalAddr()); err != nil {
			return err
		}
		if err := expect(to.relay, message(r.BetweenRelays), from.relay.LocalAddr()); err != nil {
			return fmt.Errorf("between relays, %d: %w", r.BetweenRelays, err)
		}
	}
	return nil
}

func run(server, user, password string) (*report, error) {
	a, err := allocate(server, user, password)
	if err != nil {
		return nil, err
	}
	b, err := allocate(server, user, password)
	if err != nil {
		return nil, err
	}
	mapped, err := a.SendBindingRequest()
	if err != nil {
		return nil, fmt.Errorf("binding: %w", err)
	}
	r := &report{Over: *over, Mapped: mapped.String(), Local: a.base.LocalAddr().String(), Relayed: a.relay.LocalAddr().String()}
	for _, part := range []func() error{
		func() error { return a.callPeer(r) },
		func() error { return a.hearPeer(r) },
		func() error { return betweenRelays(a, b, r) },
		a.close,
		b.close,
	} {
		if err = part(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func main() {
	flag.Parse()
	server, user, password := flag.Arg(0), flag.Arg(1), flag.Arg(2)
	var err error
	if user == "secret" {
		user, password, err = turn.GenerateLongTermCredentials(password, time.Hour)
	}
	if flag.NArg() != 3 {
		err = errors.New("usage: pion_turn [options] server user password")
	}
	var r *report
	if err == nil {
		r, err = run(server, user, password)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err = json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
}
