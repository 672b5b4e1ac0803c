import { expect, it } from 'vitest'
import { findPort } from '../src/servers/port.ts'

// What happened: two servers of one test were given the same port, before either had opened it.
it('a port is found for one server only', async () => {
  const ports: number[] = []
  while (ports.length < 200) ports.push(await findPort())
  expect(new Set(ports).size).toBe(ports.length)
})
