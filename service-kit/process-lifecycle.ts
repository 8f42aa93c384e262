import type { Log } from './log.ts'

export type Lifecycle = {
  /** Everything that must end well: stop accepting, finish what runs, close the pools. */
  readonly stop: () => Promise<void>
  readonly log: Log
  readonly stopTakesAtMostMs?: number
}

const defaultStopMs = 25_000

/**
 * Tells the parent that the process is ready, and stops it on SIGTERM, SIGINT, or when the parent that talks to it is
 * gone. A second signal changes nothing: terminals and npm send the same one twice.
 */
export function runUntilStopped({ stop, log, stopTakesAtMostMs = defaultStopMs }: Lifecycle): void {
  let stopping = false
  const stopOnce = (reason: string, exitCode: number) => {
    if (stopping) return
    stopping = true
    log.info({ reason }, 'stopping')
    setTimeout(() => exit(log, 'did not stop in time', 1), stopTakesAtMostMs).unref()
    stop().then(
      () => exit(log, 'stopped', exitCode),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed')
        exit(log, 'stopped with an error', 1)
      },
    )
  }
  process.on('SIGTERM', () => stopOnce('SIGTERM', 0))
  process.on('SIGINT', () => stopOnce('SIGINT', 0))
  process.on('disconnect', () => stopOnce('the parent is gone', 0))
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught exception')
    stopOnce('uncaught exception', 1)
  })
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'unhandled rejection')
    stopOnce('unhandled rejection', 1)
  })
  log.info('ready')
  process.send?.({ ready: true }, undefined, undefined, () => {})
}

function exit(log: Log, message: string, code: number): void {
  log.info(message)
  log.flush(() => process.exit(code))
}
