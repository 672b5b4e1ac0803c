/**
 * Builds one of the pages beside it, and serves it before a Millrace server, or the one at `SERVER`: `node src/pages/serve.ts vue`.
 * The page and the API must be of one origin, so the server of the page passes the API on.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import react from '@vitejs/plugin-react'
import vue from '@vitejs/plugin-vue'
import { createMillrace } from 'millrace'
import { build, defaultClientConditions, type InlineConfig, type ProxyOptions, preview } from 'vite'

const [framework = 'react'] = process.argv.slice(2)
const millrace = createMillrace({ model: process.env['MODEL'] ?? 'sim:count?n=5', dialects: ['ai-sdk'] })
const url = process.env['SERVER'] ?? (await millrace.listen({ port: 0 })).url

const outDir = await mkdtemp(join(tmpdir(), 'millrace-page-'))
const config: InlineConfig = {
  root: fileURLToPath(new URL(`./${framework}/`, import.meta.url)),
  configFile: false,
  logLevel: 'error',
  plugins: [react(), vue(), svelte({ configFile: false })],
  // Here the packages are read as they are written; an application needs no such line.
  resolve: { conditions: ['millrace-source', ...defaultClientConditions] },
  build: { outDir, emptyOutDir: true },
  preview: {
    host: '127.0.0.1',
    port: Number(process.env['PORT'] ?? 4601),
    proxy: { '/api': passOn(), '/ai': passOn(), '/ws': passOn() },
  },
}
await build(config)
const server = await preview(config)
console.log(server.resolvedUrls?.local[0])

function passOn(): ProxyOptions {
  return {
    target: url,
    ws: true,
    // Without it, a page would wait for ever for the rest of a response that has broken.
    configure: (proxy) => proxy.on('proxyRes', (from, _request, to) => from.on('error', () => to.destroy())),
  }
}

process.once('SIGTERM', () => void close())

async function close(): Promise<void> {
  await server.close()
  await millrace.close()
  await rm(outDir, { recursive: true })
}
