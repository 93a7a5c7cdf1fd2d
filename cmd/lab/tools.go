package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/vcenter"
)

// running reads what the lab of this folder says of itself.
func running() (lab.Control, error) {
	var c lab.Control
	b, err := os.ReadFile(filepath.Join(labDir, "lab.json"))
	if err != nil {
		return c, fmt.Errorf("no lab runs in this folder (start one with `make lab`): %w", err)
	}
	return c, json.Unmarshal(b, &c)
}

// tell posts to the running lab and shows the answer.
func tell(path string, body any) error {
	c, err := running()
	if err != nil {
		return err
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	res, err := http.Post(c.URL+path, "application/json", bytes.NewReader(b)) //nolint:noctx // a person waits and may press Ctrl-C
	if err != nil {
		return fmt.Errorf("the lab of this folder does not answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(string(bytes.TrimSpace(out)))
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, bytes.TrimSpace(out), "", "  ") == nil && pretty.String() != "{}" {
		fmt.Println(pretty.String())
	}
	return nil
}

func faultCommand() *cobra.Command {
	var host, mode string
	cmd := &cobra.Command{
		Use: "fault", Short: "Break the AWS side of a customer in the running lab, or mend it (--mode off)", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return tell("/fault", map[string]string{"host": host, "mode": mode})
		},
	}
	cmd.Flags().StringVar(&host, "host", "*", "the customer's host name; * is everybody")
	cmd.Flags().StringVar(&mode, "mode", "error500", "error500, slow or off")
	return cmd
}

func verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Compare the ledger of the running lab with both sides", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return tell("/verify", struct{}{}) },
	}
}

func loadCommand() *cobra.Command {
	var rate float64
	var length time.Duration
	cmd := &cobra.Command{
		Use: "load", Short: "Drive the customers' traffic in the running lab", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := running()
			if err != nil {
				return err
			}
			l, err := load.Start(cmd.Context(), load.Options{URL: "http://" + c.Edge, Names: c.Names, Customers: c.Customers,
				Rate: rate, Ledger: c.Ledger})
			if err != nil {
				return err
			}
			select {
			case <-cmd.Context().Done():
			case <-time.After(length):
			}
			b, err := json.MarshalIndent(l.Stop(), "", "  ")
			if err != nil {
				return err
			}
			fmt.Println(string(b))
			return nil
		},
	}
	cmd.Flags().Float64Var(&rate, "rate", 80, "requests a second, over all customers")
	cmd.Flags().DurationVar(&length, "for", time.Minute, "how long")
	return cmd
}

// vcenterCommand runs the vCenter simulator alone, as docker-compose does.
func vcenterCommand() *cobra.Command {
	var listen, dir, user, password string
	cmd := &cobra.Command{
		Use: "vcenter", Short: "Run the vCenter simulator alone", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := vcenter.Start(cmd.Context(), vcenter.Options{Listen: listen, Dir: dir, VMs: lab.Machines(), Username: user,
				Password: password})
			if err != nil {
				return err
			}
			defer func() { _ = v.Close() }()
			fmt.Println(v.URL())
			<-cmd.Context().Done()
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8989", "host:port")
	cmd.Flags().StringVar(&dir, "dir", "out/vcenter", "folder of the datastore")
	cmd.Flags().StringVar(&user, "username", "administrator@vsphere.local", "of the administrator")
	cmd.Flags().StringVar(&password, "password", "lab-vcenter", "of the administrator")
	return cmd
}
