/** How important a request is, the least first: the order in which they are refused. */
export const importances = ['low', 'normal', 'high', 'critical'] as const;

export type Importance = (typeof importances)[number];
