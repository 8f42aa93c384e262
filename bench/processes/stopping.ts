/** What has to be undone at the end, in the order in which it was done. Undone from the last to the first. */
export type Stopping = (() => Promise<unknown>)[]
