// In Fastify: a plugin, in which Millrace reads the bodies itself.
import fastify from 'fastify'
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5' })

const app = fastify()
app.addHook('onRequest', async (_request, reply) => {
  reply.header('x-frame-options', 'DENY')
})
await app.register(async (scope) => {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
  scope.all('/api/*', (request, reply) => {
    reply.hijack()
    // Those of plug-ins: CORS, helmet, cookies.
    reply.raw.setHeaders(new Map(Object.entries(reply.getHeaders()) as [string, string][]))
    millrace.handler(request.raw, reply.raw)
  })
})
app.get('/', () => 'my own page')
const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' })
console.log(`${url}/api/chat?query=hello`)
