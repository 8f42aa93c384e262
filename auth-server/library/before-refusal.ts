import { keptWithRequest } from '../http/kept-with-request.ts'

const acts = keptWithRequest<() => Promise<void>>('act before refusal')

/** What is to be done before a request is refused that has shown whose it is. If it throws, the request is refused with that. */
export const beforeRefusal = (request: object, act: () => Promise<void>): void => void acts.set(request, act)

/** To be gone through right after a client has shown who it is. */
export function actBeforeRefusal(ctx: object, next: () => unknown): unknown {
  const act = acts.get(ctx)
  return act === undefined ? next() : guarded(act, next)
}

async function guarded(act: () => Promise<void>, next: () => unknown): Promise<void> {
  try {
    await next()
  } catch (error) {
    await act()
    throw error
  }
}
