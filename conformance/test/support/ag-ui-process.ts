/**
 * AG-UI's client in a process of its own, because it leaves a rejection unhandled where a response breaks: each run is cut once,
 * and run again from the messages before it. Prints the messages of a run that is not cut, of each that was, and what it left.
 */
import { HttpAgent, type Message } from '@ag-ui/client'
import { startFaultProxy } from '../../src/fault-proxy.ts'
import { frameEnds } from './frame-ends.ts'

export interface Printed {
  readonly whole: readonly Message[]
  /** Of the run that had ended, cut after each of its frames, and of runs in progress. */
  readonly ended: readonly (readonly Message[])[]
  readonly running: readonly (readonly Message[])[]
  readonly failures: readonly string[]
  readonly unhandled: readonly string[]
}

const port = Number(process.argv[2])
const proxy = await startFaultProxy(port)
const initialMessages = [{ id: 'm', role: 'user' as const, content: 'where?' }]
const failures: string[] = []
const unhandled: string[] = []
process.on('unhandledRejection', (error) => void unhandled.push(String(error)))

const whole = await run('r000')
const ended: Message[][] = []
const running: Message[][] = []
for (const end of await frameEnds(port, '/ag-ui', { threadId: 'r000', runId: 'r000', messages: initialMessages }, '\n\n')) {
  proxy.cutAfter(end)
  ended.push(await run('r000'))
  proxy.cutAfter(end)
  running.push(await run(`r${end}`))
}
const printed: Printed = { whole, ended, running, failures, unhandled }
process.stdout.write(JSON.stringify(printed))
// Sockets of the responses that broke are left open too.
process.exit()

/** Messages without the name of the run. */
async function run(runId: string): Promise<Message[]> {
  const agent = new HttpAgent({ url: `${proxy.url}/ag-ui`, threadId: runId, initialMessages })
  const before = structuredClone(agent.messages)
  try {
    await agent.runAgent({ runId })
  } catch (error) {
    failures.push(String(error))
    agent.messages = before
    await agent.runAgent({ runId })
  }
  return JSON.parse(JSON.stringify(agent.messages).replaceAll(runId, 'r')) as Message[]
}
