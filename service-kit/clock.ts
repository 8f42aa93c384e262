/** Where a process learns the time. Nothing in `bank/` reads the wall clock: `now` comes in with the request. */
export type Clock = { readonly now: () => Date }

export const systemClock: Clock = { now: () => new Date() }
