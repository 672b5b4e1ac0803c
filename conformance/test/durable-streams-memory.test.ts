/** `@durable-streams/server-conformance-tests` over memory. */
import { memoryEngine } from 'millrace'
import { durableStreamsSuite } from './support/durable-streams-suite.ts'

durableStreamsSuite('memory', async () => [memoryEngine()])
