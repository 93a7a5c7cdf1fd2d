package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ports are those of the lab's services, each at an address of its own: the usual one where nobody
// has it for all addresses.
type ports struct {
	app, admin, edge, entry, moto, s3, ebs, database, vcenter, names, control int
}

const (
	// another is the distance to the next port that is tried: all usual ones lie less far apart, or
	// at different addresses.
	another = 100
	// tries of other ports.
	portTries = 50
)

// findPorts finds a port for every service, and says on out which usual one somebody has, and who.
func findPorts(ip string, out io.Writer) (p ports, err error) {
	for _, w := range []struct {
		at    *int
		what  string
		usual int
	}{
		{&p.app, "the application", 8080}, {&p.admin, "the application's faults", 8081}, {&p.edge, "the load balancer", 8080}, {&p.entry,
			"customers that are found by name", 8082}, {&p.moto,
			"AWS", 5000},
		{&p.s3, "S3", 9000}, {&p.ebs, "EBS", 9001}, {&p.database, "PostgreSQL", 5432}, {&p.vcenter, "vCenter", 8989}, {&p.names,
			"the name server", 5353},
		{&p.control, "the lab's control", 7001},
	} {
		if *w.at, err = findPort(ip, w.usual); err != nil {
			return p, fmt.Errorf("find a port for %s: %w", w.what, err)
		}
		if *w.at != w.usual {
			fmt.Fprintf(out, "port %d is taken by %s: %s has %d\n", w.usual, listener(w.usual), w.what, *w.at)
		}
	}
	return p, nil
}

// findPort is the usual port, or the next that nobody has. One that is taken for all addresses is
// taken at every one.
func findPort(ip string, usual int) (int, error) {
	var err error
	for n := range portTries {
		port := usual + n*another
		if err = free(ip, port); err == nil {
			return port, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return 0, fmt.Errorf("%d and those after it: %w (%d is taken by %s)", usual, err, usual, listener(usual))
}

// free says whether both TCP and UDP may be listened at; the name server wants both.
func free(ip string, port int) error {
	at := net.JoinHostPort(ip, strconv.Itoa(port))
	l, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", at)
	if err == nil {
		_ = u.Close()
	}
	return errors.Join(err, l.Close())
}

// listener names the process that listens at a port for all addresses: its name and pid, as far as
// this user may see them.
func listener(port int) string {
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		socket := socketAt(filepath.Join("/proc/net", table), port)
		if socket == "" {
			continue
		}
		if who := processWith(socket); who != "" {
			return who
		}
		return "a process of another user"
	}
	return "a process that cannot be seen from here"
}

// socketAt finds in a table of sockets the one that listens at a port, and gives it as /proc/PID/fd
// names it.
func socketAt(table string, port int) string {
	f, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			continue
		}
		const tcpListens, udpUnconnected = "0A", "07"
		_, hex, _ := strings.Cut(fields[1], ":")
		at, err := strconv.ParseInt(hex, 16, 32)
		if err == nil && int(at) == port && (fields[3] == tcpListens || fields[3] == udpUnconnected) {
			return "socket:[" + fields[9] + "]"
		}
	}
	return ""
}

func processWith(socket string) string {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != socket {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		name, _ := os.ReadFile(filepath.Join(process, "comm"))
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), filepath.Base(process))
	}
	return ""
}
