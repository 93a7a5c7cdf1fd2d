// Package worker runs Drover's workers. It is the only place that builds clients, one for each
// target and site, and joins the activities to each other: what one needs of another it names as an
// interface, and gets here.
package worker
