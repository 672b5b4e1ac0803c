// In Hono, or any other host that speaks the web's Request and Response.
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5' })

const app = new Hono()
app.all('/api/*', (context) => millrace.fetch(context.req.raw))
app.get('/', (context) => context.text('my own page'))
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000), hostname: '127.0.0.1' }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}/api/chat?query=hello`)
})
