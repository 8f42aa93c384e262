import { createServer } from 'node:net'

/** Below the range from which the kernel takes ports for outgoing connections. */
const lowest = 20_000
const highest = 29_000
const attempts = 200

/** The first of `count` neighbouring ports of the loopback that nobody listens on now. */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const first = lowest + Math.floor((Math.random() * (highest - lowest)) / count) * count
    const free = await Promise.all(Array.from({ length: count }, (_, offset) => isFree(first + offset)))
    if (free.every(Boolean)) return first
  }
  throw new Error(`no ${count} neighbouring free ports between ${lowest} and ${highest}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
