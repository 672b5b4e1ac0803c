import { memoryEngine } from 'millrace'
import { engineConformance } from '../src/index.ts'

engineConformance({
  name: 'memory',
  make: (limits) => memoryEngine(limits),
  makeBounded: (totalBytesMax) => memoryEngine({ totalBytesMax }),
})
