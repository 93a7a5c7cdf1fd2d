// Package machines gives the laboratory's machines a life: for each powered-on VM, each running EC2
// instance and each running Fargate task it keeps one process of the orders application on the
// machine's own address.
//
// What is where comes from the control planes (vCenter's simulator, moto): this package only obeys.
// An EC2 instance is served only if the disks it was launched from are, byte for byte, disks that
// were exported from a VM.
package machines
