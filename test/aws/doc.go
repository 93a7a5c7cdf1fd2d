// Package awstest holds the activities that talk to AWS against the lab's AWS: moto with our
// extension, over the real protocols. What AWS does that moto does not is beyond it;
// docs/aws-calls.md says which call is which.
package awstest
