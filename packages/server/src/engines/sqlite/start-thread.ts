/** Starts a thread of the engine, which does not keep the process alive. Throws where there can be none. */
import { Worker } from 'node:worker_threads'

export function startThread(name: 'worker' | 'checkpoint', workerData: object): Worker {
  const isSource = import.meta.url.endsWith('.ts')
  const worker = new Worker(new URL(`./${name}.${isSource ? 'ts' : 'js'}`, import.meta.url), {
    workerData,
    // Without the flags of the host: its loaders would run in the thread, too.
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  worker.unref()
  return worker
}
