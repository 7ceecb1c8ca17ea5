//! What a transport must do. The traits of the cluster; for now the store of groups.
