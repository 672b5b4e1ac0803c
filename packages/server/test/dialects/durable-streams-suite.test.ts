/** The protocol's own suite, https://www.npmjs.com/package/@durable-streams/server-conformance-tests, as it is published. */
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { createMillrace, type Millrace } from 'millrace'
import { afterAll, beforeAll, describe } from 'vitest'

describe('memory', () => {
  let millrace: Millrace
  const suite = { baseUrl: '' }

  beforeAll(async () => {
    // Its preflight comes from this origin.
    millrace = createMillrace({ dialects: ['durable-streams'], access: { origins: ['https://example.com'] } })
    const { url } = await millrace.listen({ port: 0 })
    suite.baseUrl = `${url}/ds/streams`
  })
  afterAll(() => millrace.close())

  runConformanceTests(suite)
})
