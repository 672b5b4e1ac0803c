import { overPoll, overSse, overWebSocket, transportConformance } from '../src/index.ts'

// Down, hybrid is SSE; its way up has its own cases in the client suite and beside the reference exchange.
transportConformance({ name: 'SSE', read: overSse })
transportConformance({ name: 'WebSocket', read: overWebSocket })
transportConformance({ name: 'long-poll', read: overPoll })
