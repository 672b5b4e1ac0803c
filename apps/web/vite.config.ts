/**
 * The page: built into dist/, which the server serves at `/`. In development Vite serves it and
 * passes the API on to a server that is running, MILLRACE_URL.
 */
import react from '@vitejs/plugin-react'
import { defaultClientConditions, defaultServerConditions, defineConfig, type Plugin } from 'vite'

const server = process.env.MILLRACE_URL ?? 'http://127.0.0.1:4600'

export default defineConfig({
  // Relative, so that a host may serve the page under any path of its own.
  base: './',
  plugins: [react(), paintAfterScript()],
  // With `source` the workspace's packages are read as they are written and need not be built first.
  resolve: { conditions: ['millrace-source', ...defaultClientConditions] },
  ssr: { resolve: { conditions: ['millrace-source', ...defaultServerConditions] } },
  build: { target: 'es2022', assetsInlineLimit: 0, reportCompressedSize: true },
  server: { proxy: { '/api': server, '/docs': server, '/healthz': server } },
})

/**
 * Without this, somebody who chose the dark theme on a light system sees a white flash at each
 * load: the empty page is painted before the script has read the choice. An inline script would
 * do as well, but the content security policy allows none.
 */
function paintAfterScript(): Plugin {
  return {
    name: 'paint-after-script',
    enforce: 'post',
    transformIndexHtml: (html) => html.replace('<script type="module"', '<script blocking="render" type="module"'),
  }
}
