/** What two plain commands say is taken only where it is the whole truth: for everything else the script is asked. */
import { expect, it } from 'vitest'
import { livePage } from './live.ts'

const after = { epoch: 'e', offset: 4 }
const bounds = { eventsMax: 512, bytesMax: 262_144 }
const entry = (last: number, count: number) => [
  `${last}-0`,
  ['n', String(count), 't', '1', 'd', JSON.stringify(Array.from({ length: count }, () => ['message', {}]))],
]
const meta = ({ epoch = 'e', head = '9', start = '2', server = 's', shown = null as string | null } = {}) => [
  epoch,
  head,
  start,
  server,
  shown,
]
const offsets = (answers: readonly unknown[]) => livePage(after, answers, bounds)?.events.map(({ offset }) => offset)

it('gives what is behind the position, also out of the middle of a batch, and says what more there is', () => {
  const page = livePage(after, [[entry(6, 3), entry(7, 1)], meta()], bounds)
  expect(page?.events.map(({ offset }) => offset)).toEqual([5, 6, 7])
  expect(page).toMatchObject({ position: { epoch: 'e', offset: 7 }, head: { epoch: 'e', offset: 9 }, server: 's' })
  expect(page?.gap).toBeUndefined()
})

it.each([
  ['the log is another one', [[entry(5, 1)], meta({ epoch: 'f' })]],
  ['there is no log', [[], [null, null, null, null, null]]],
  ['retention has gone past the position', [[entry(5, 1)], meta({ start: '8' })]],
  ['what is behind the position is packed, or gone', [[entry(8, 2)], meta()]],
  ['something between two batches is missing', [[entry(5, 1), entry(9, 2)], meta()]],
  ['nothing is there', [[], meta()]],
  ['there is more than there is', [[entry(5, 1)], meta({ head: '4' })]],
  ['replicas are waited for', [[entry(5, 1)], meta({ shown: '4' })]],
])('gives nothing where %s', (_, answers) => {
  expect(offsets(answers)).toBeUndefined()
})
