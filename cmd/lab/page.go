package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/web/access"
)

// page is the product's board in a lab, with what somebody needs to look at it.
type page struct {
	at    string // its address
	token string // signs a lead in
	link  string // shows one customer to whoever has it
}

// pagePort is where the board is, if nobody else has it.
const pagePort = "8088"

// linkLife is how long the link is good: longer than a lab is up.
const linkLife = 30 * 24 * time.Hour

// startPage starts the product's board as its users do, and waits until it answers. It asks
// Temporal nothing as long as nobody looks, and about once a second then.
func startPage(ctx context.Context, l *lab.Lab, drover, dir string) (p page, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return p, err
	}
	at := freeAddress()
	p.at = "http://" + at
	customer := l.Shape.Customers()[0].ID
	if p.token, p.link, err = pageFiles(dir, l.Shape.Name, customer, time.Now().Add(linkLife)); err != nil {
		return p, fmt.Errorf("let people in to the board: %w", err)
	}
	p.link = p.at + p.link
	board, err := l.StartCommand("board", drover, "web", "--listen", at, "--tokens", filepath.Join(dir, tokensFile), "--key-file",
		filepath.Join(dir, keyFile))
	if err != nil {
		return p, err
	}
	return p, board.Ready(ctx, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.at+"/healthz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("the board answers %s", res.Status)
		}
		return nil
	})
}

const (
	keyFile    = "board.key"
	tokensFile = "board.tokens"
)

// pageFiles writes the files that the board reads: its key, and the line of a lead whose token it
// gives, with the path of a link to one customer.
func pageFiles(dir, plan, customer string, until time.Time) (token, link string, err error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails (crypto/rand)
	text := base64.StdEncoding.EncodeToString(secret)
	if err := os.WriteFile(filepath.Join(dir, keyFile), []byte(text+"\n"), 0o600); err != nil {
		return "", "", err
	}
	key, err := access.ReadKey(filepath.Join(dir, keyFile))
	if err != nil {
		return "", "", err
	}
	token, line, err := access.NewToken("you", access.Lead)
	if err != nil {
		return "", "", err
	}
	if err := os.WriteFile(filepath.Join(dir, tokensFile), []byte(line+"\n"), 0o600); err != nil {
		return "", "", err
	}
	link, err = key.Link(plan, customer, until)
	return token, "/link/" + link, err
}

// freeAddress is where nobody listens on loopback: the usual port, or any.
func freeAddress() string {
	for _, port := range []string{pagePort, "0"} {
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			at := l.Addr().String()
			_ = l.Close()
			return at
		}
	}
	return net.JoinHostPort("127.0.0.1", pagePort) // the board says who has it
}
