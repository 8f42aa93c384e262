import type { Log } from '@bankside/service-kit/log'

const idleMs = 1_000
const afterFaultMs = 10_000

/** Delivers what is due for as long as the process runs, one round after the other. @returns what ends it, after its present round. */
export function keepDelivering(deliver: () => Promise<number>, log: Log): () => Promise<void> {
  let stopped = false
  let wake: (() => void) | undefined
  const rest = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const running = (async () => {
    while (!stopped)
      try {
        if ((await deliver()) === 0 && !stopped) await rest(idleMs)
      } catch (error) {
        log.error({ err: error }, 'clients could not be told of logouts')
        if (!stopped) await rest(afterFaultMs)
      }
  })()
  return () => {
    stopped = true
    wake?.()
    return running
  }
}
