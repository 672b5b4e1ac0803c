import { overHybrid, overPoll, overSse, overWebSocket, transportConformance } from '../src/index.ts'

transportConformance({ name: 'SSE', read: overSse })
transportConformance({ name: 'WebSocket', read: overWebSocket })
// Its way up has more cases in the client suite and beside the reference exchange.
transportConformance({ name: 'hybrid', read: overHybrid })
transportConformance({ name: 'long-poll', read: overPoll })
