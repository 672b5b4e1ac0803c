import { memoryEngine } from 'millrace'
import { engineConformance, ephemeralConformance } from '../src/index.ts'

engineConformance({
  name: 'memory',
  make: (limits) => memoryEngine(limits),
  makeBounded: (totalBytesMax) => memoryEngine({ totalBytesMax }),
})

ephemeralConformance({ name: 'memory', makeNodes: () => [memoryEngine()] })
