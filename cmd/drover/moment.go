package main

import (
	"time"

	"github.com/spf13/cobra"
)

// zoneFlag adds --zone to a command whose flag of is a time.
func zoneFlag(cmd *cobra.Command, to *string, of string) {
	cmd.Flags().StringVar(to, "zone", "", "zone of "+of+", such as Europe/Kyiv (default this machine's)")
}

// parseMoment reads a flag's time that has not passed, to the minute in a zone, or with its offset.
func parseMoment(flag, s, zone string) (time.Time, error) {
	in := time.Local
	if zone != "" {
		var err error
		if in, err = time.LoadLocation(zone); err != nil {
			return time.Time{}, inputError("give a name such as Europe/Kyiv", "--zone %s is no zone", zone)
		}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.ParseInLocation("2006-01-02 15:04", s, in)
	}
	switch {
	case err != nil:
		return t, inputError(`write it as "2026-12-09 22:00"`, "%s %q is no time", flag, s)
	case !t.After(time.Now()):
		return t, inputError("give a time that is to come", "%s %s has passed", flag, stamp(t))
	}
	return t.UTC(), nil
}
