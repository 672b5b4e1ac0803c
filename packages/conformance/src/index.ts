/** Suites that check a server over the network, for a runner of your own. */
export type { Case, Suite, Target } from './case.ts'
export { type Checked, checkServer, suites } from './run.ts'
